"""Memory of one accelerator: weights as loaded, what an engine works with, cache, and whether a server starts."""

from costmodel.memory.cache import blocks
from costmodel.memory.held import Memory, memory
from costmodel.memory.server import Server
from costmodel.memory.start import Start, starting
from costmodel.memory.working import LOGIT_BYTES
from costmodel.working_memory import WorkingMemory

__all__ = ["LOGIT_BYTES", "Memory", "Server", "Start", "WorkingMemory", "blocks", "memory", "starting"]
