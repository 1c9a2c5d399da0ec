"""README's table of faults: what was done to hfkit on purpose, and how often what came of it was right."""

# In the order of the table: what is done, and what has to come of it.
TESTS = {
    "T1": ("killed (`kill -9`), and the same command again", "the same bits, and nothing repeated that had ended"),
    "T2": ("a checkpoint is damaged, mixed or cut", "named, and the newest whole one is taken"),
    "T2b": ("any other file that work goes on from is damaged", "named or computed again, never used"),
    "T3": ("the disk is full", "one line with the place; what was there is kept, and the same command goes on"),
    "T4": ("cut and resumed, wherever saves and evaluations fall", "the same bits"),
    "T5": ("TERM, INT, USR1 or USR2", "the step ends, a checkpoint is written, exit code 75"),
    "T6": ("one process of two is killed, raises, exits, hangs, drifts or meets nan", "all end within a minute"),
    "T7": ("a model in parts (FSDP2): freeze, thaw, damage, kill", "the plan holds, the damage is named, all end"),
    "T8": ("bad rows, files, flags and checkpoints", "one line that names the value, exit code 2, nothing written"),
    "T10": ("files made to run code or to fetch", "no code runs, nothing is fetched or written elsewhere"),
    "T10b": ("hostile working folders, and requests to `hfkit demo`", "nothing of them runs, none is answered"),
    "T11": ("secrets in variables, flags, rows, labels and names", "withheld from all that is written or pushed"),
    "T12": ("markup, commands and formulas as labels and texts", "shown as text, everywhere"),
    "T13": ("long runs: rows by the hundred thousand, rotations, killed caches", "flat memory, nothing left behind"),
    "concurrency": ("two runs at once in one place", "both right, or the second refused with the first one's name"),
    "places": ("odd folders, paths, permissions and locales", "works, or says why not"),
}
MOST_FAILING = 3  # cases that the text below the table names, of each test


def reliability_table(result: dict) -> str:
    """A row for each test: what was done, what has to come of it, how many cases of how many."""
    lines = ["| test | what is done | what has to come of it | right |", "|---|---|---|---:|"]
    for test, (done, wanted) in TESTS.items():
        if test in result:
            found = result[test]
            lines.append(f"| {test} | {done} | {wanted} | {found['good']:,} of {found['of']:,} |")
    return "\n".join([*lines, *describe_failing(result)])


def describe_failing(result: dict) -> list[str]:
    """What is not right yet, by test."""
    lines = []
    for test in TESTS:
        failing = result.get(test, {}).get("failing", [])
        if failing:
            more = f", and {len(failing) - MOST_FAILING} more" if len(failing) > MOST_FAILING else ""
            cases = "; ".join(case.partition(":")[0] for case in failing[:MOST_FAILING])
            lines.append(f"- {test}, not right: {cases}{more}.")
    return ["", *lines] if lines else []


def mutants_line(result: dict) -> str:
    """How many guards were missed by their tests when they were switched off."""
    return (
        f"{result['missed']} of {result['of']} guards of the code (what is frozen is compared, a damaged file is named,"
        " a stranger's text is no markup, …) were switched off one at a time, and their tests failed each time"
        " (`make mutants`)."
        if result["missed"] == result["of"]
        else f"{result['missed']} of {result['of']} guards of the code were missed by their tests when they were off"
        f" one at a time (`make mutants`); not missed: "
        f"{', '.join(row['guard'] for row in result['guards'] if not row['missed'])}."
    )


def sealing_line(result: dict) -> str:
    """The cost of the digests of a checkpoint, as a share of the CPU time of saving it."""
    share, seconds = result["share_of_a_save"]["cpu"], result["seconds"]
    others = " and ".join(
        f"{seconds[name]['cpu'] / seconds['digests']['cpu']:.0f} times as much with {title}"
        for name, title in (("sha256", "SHA-256"), ("blake2b", "BLAKE2b"))
    )
    return (
        f"The digests of a checkpoint of {result['checkpoint_mb']:.0f} MB take {share['median']:.1%}"
        f" [{share['least']:.1%}, {share['most']:.1%}] of the CPU time of saving it. It would be {others}."
    )
