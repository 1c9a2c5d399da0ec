"""What a run may do, made less: permissions that hold for root too, and limits on memory and time."""

import ctypes
import os
import resource

VERSION = 0x20080522  # of the calls: Linux 2.6.26
OVERRIDE, SEARCH = 1, 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: root reads and writes everything by these
MEMORY, SECONDS = 4 * 2**30, 120


class Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("process", ctypes.c_int)]


class Data(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def give_up_powers(*, limits: bool = False) -> None:
    """Let permissions hold for this process, whoever runs it.

    Args:
        limits: it may also use only so much memory and time: some inputs ask for all there is.
    """
    if limits:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = Header(VERSION, 0), (Data * 2)()
    if libc.capget(ctypes.byref(header), data):
        raise OSError(ctypes.get_errno(), "capget")
    for power in (OVERRIDE, SEARCH):
        for name in ("effective", "permitted", "inheritable"):
            setattr(data[0], name, getattr(data[0], name) & ~(1 << power))
    if libc.capset(ctypes.byref(header), data):
        raise OSError(ctypes.get_errno(), "capset")
