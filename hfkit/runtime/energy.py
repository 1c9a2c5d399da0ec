"""What a run took from the socket, where codecarbon is installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec


@contextmanager
def measure_energy() -> Iterator[dict[str, float]]:
    """Yields a dict with `energy_kwh` of this process once the block has ended; it stays empty without codecarbon.

    Where the machine shows no counters, as in most virtual ones, codecarbon estimates from the processor's model and
    load: its number compares runs of one machine, and no two machines.
    """
    cost: dict[str, float] = {}
    if find_spec("codecarbon") is None:
        yield cost
        return
    from codecarbon import OfflineEmissionsTracker

    # The country only turns energy into carbon, which nobody asks for here; offline it has to be given.
    tracker = OfflineEmissionsTracker(
        country_iso_code="USA",
        tracking_mode="process",  # other runs share the machine
        save_to_file=False,
        log_level="error",
        measure_power_secs=5,
        allow_multiple_runs=True,
    )
    tracker.start()
    try:
        yield cost
    finally:
        tracker.stop()
        cost["energy_kwh"] = float(tracker.final_emissions_data.energy_consumed)
