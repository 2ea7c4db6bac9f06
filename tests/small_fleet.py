"""A fleet of two models on two kinds of accelerators, as a file of ``fleet/``."""

SMALL = """
name: small
objective: cost
growth: 1.5
spares: {count: 1, of: replica}
limits: {usd_per_hour: 300.0, power_w: 30000.0}
search:
  engine: vllm
  space.gpus: [1, 2, 4]
  space.tp: [1, 2, 4]
  space.pp: 1
  space.batch: [8, 32, 64, 128]
pools:
  old: {hardware: a100_80gb_sxm, count: 10}
  new: {hardware: h100_sxm, count: 6, price_per_hour: 5.0}
models:
  chat:
    requests_per_s: 11.0
    search: {model: qwen3_8b, workload: chat, limits: {ttft_s: 1.0, ttft_statistic: p99, tpot_s: 0.05}}
  reader:
    requests_per_s: 2.0
    weight: 2.0
    search: {model: qwen3_32b, workload: in2048_out2048, limits.ttft_s: 3.0, limits.tpot_s: 0.06}
"""
