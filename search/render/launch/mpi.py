"""TensorRT-LLM over several nodes in containers: mpirun on the first starts a rank an accelerator on all, through ssh.

Open MPI (the library that TensorRT-LLM's images carry): plm_rsh_args, OMPI_ALLOW_RUN_AS_ROOT; OpenSSH's sshd -D.
"""

from __future__ import annotations

from search.render.launch.server import Server

SSH_PORT, SSH_FOLDER, HOSTS = 2222, "/ssh", "/tmp/hosts"
SECRET = "servefront-ssh"
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_plm_rsh_args": f"-p {SSH_PORT} -o StrictHostKeyChecking=no -o BatchMode=yes",
}
_KEYS = (
    f"mkdir -p /run/sshd /root/.ssh && install -m 600 {SSH_FOLDER}/id_ed25519 /root/.ssh/id_ed25519 && "
    f"install -m 600 {SSH_FOLDER}/id_ed25519.pub /root/.ssh/authorized_keys"
)
_SSHD = f"/usr/sbin/sshd -e -p {SSH_PORT} -o PasswordAuthentication=no"


def worker() -> str:
    """What every node but the first runs: it waits for mpirun."""
    return f"{_KEYS} && exec {_SSHD} -D"


def leader(server: Server, hosts: str, command: str) -> str:
    """What the first node runs: once ssh answers on all ``hosts`` (words of a shell), ``command``."""
    ready = f'until ssh -p {SSH_PORT} -o StrictHostKeyChecking=no -o BatchMode=yes "$h" true; do sleep 5; done'
    listed = f'echo "$h slots={server.node_size}" >> {HOSTS}'
    return f"{_KEYS} && {_SSHD} && : > {HOSTS} && for h in {hosts}; do {ready}; {listed}; done && exec {command}"


def notes() -> list[str]:
    """What people have to bring."""
    return [
        "mpirun starts the ranks of all nodes through ssh: the image needs openssh-server, the nodes one pair of keys,",
        "  ssh-keygen -t ed25519 -N '' -f ssh/id_ed25519",
    ]
