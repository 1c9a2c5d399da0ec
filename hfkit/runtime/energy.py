"""The energy of a run, if codecarbon is installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec


@contextmanager
def measure_energy() -> Iterator[dict[str, float]]:
    """Yields a dict that holds `energy_kwh` of this process after the block; it stays empty without codecarbon.

    On machines without counters, such as most virtual ones, codecarbon estimates from the processor's model and load.
    Then its numbers compare runs on one machine, but not two machines.
    """
    cost: dict[str, float] = {}
    if find_spec("codecarbon") is None:
        yield cost
        return
    from codecarbon import OfflineEmissionsTracker

    # The country only matters for carbon, which is not used here; offline it has to be given.
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
