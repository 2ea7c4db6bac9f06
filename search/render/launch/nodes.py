"""How the nodes of a server find each other, and how a server is watched and stopped: lines of the scripts."""

from __future__ import annotations

from search.render.launch.server import Server

# Port on which the ranks meet (vLLM's own default, vllm/config/parallel.py, 0.33; SGLang's examples).
MEETING_PORT = {"vllm": 29501, "sglang": 20000, "trtllm": 0}
# What names a node's own address (vllm/envs.py, 0.33; sglang/srt/utils/network.py, 0.5.23).
OWN_ADDRESS = {"vllm": "VLLM_HOST_IP", "sglang": "SGLANG_HOST_IP"}
# Network interfaces of the collective libraries: NCCL (and RCCL), PyTorch's Gloo, Huawei's HCCL.
INTERFACES = {"Huawei": ("HCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME")}
USUAL_INTERFACES = ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME")


def interface_names(vendor: str) -> tuple[str, ...]:
    """Variables that name the network between nodes."""
    return INTERFACES.get(vendor, USUAL_INTERFACES)


def network_usage(server: Server, engine: str) -> list[str]:
    """Comments on the variables below."""
    if server.nodes == 1:
        return []
    lines = [f"IFACE names the network interface between the nodes ({', '.join(interface_names(server.vendor))})"]
    if engine in OWN_ADDRESS:
        lines.append(f"NODE_IP is this node's own address on it ({OWN_ADDRESS[engine]}), where it has several")
    return lines


def network_settings(server: Server, engine: str) -> list[str]:
    """Nothing is set that is not asked for: the libraries find an interface by themselves on most machines."""
    if server.nodes == 1:
        return []
    exports = " ".join(f'{name}="$IFACE"' for name in interface_names(server.vendor))
    lines = [f'if [[ -n "${{IFACE:-}}" ]]; then export {exports}; fi']
    if engine in OWN_ADDRESS:
        lines.append(f'if [[ -n "${{NODE_IP:-}}" ]]; then export {OWN_ADDRESS[engine]}="$NODE_IP"; fi')
    if MEETING_PORT[engine]:
        lines.append(f"MASTER_PORT=${{MASTER_PORT:-{MEETING_PORT[engine]}}}")
    return lines


def watching(port: int) -> list[str]:
    """Comments: when it is ready, and how it ends. All three engines answer /health once they can serve."""
    return [
        "Ready when this returns (loading may take many minutes):",
        f"  until curl -fsS http://127.0.0.1:{port}/health > /dev/null; do sleep 10; done",
        "Stop it with Ctrl-C, or with PIDFILE=FILE in its environment by:",
        '  kill -TERM "$(cat FILE)"',
    ]


def remember_process() -> str:
    """The script becomes the server, so its number is the server's."""
    return 'if [[ -n "${PIDFILE:-}" ]]; then echo "$$" > "$PIDFILE"; fi'
