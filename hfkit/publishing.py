"""What leaves a run: its report, its card, and with --push_to_hub both and the model on the Hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .telling import TellingTrainer

if TYPE_CHECKING:
    from .evaluation.report import Report


class PublishingTrainer(TellingTrainer):
    """A `Trainer` whose README.md is the card of its report, on every way out."""

    def publish(self, report: "Report") -> None:
        """End a run: write report and card, print the scores, and with --push_to_hub push it all.

        In a run of several processes only the first one calls this.

        Raises:
            UserError: the output directory cannot be written.
        """
        from rich.console import Console

        page = report.save(self.args.output_dir)
        self.create_model_card()
        self.tell_contenders(report.contenders, report.task.headline)
        Console().print(report.table())
        print(f"Report: {page}")

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write README.md from report.json; what the stock card takes as arguments stands in the report.

        Raises:
            UserError: there is no report yet, or the folder cannot be written.
        """
        from .hub.card import write_card

        if self.is_world_process_zero():
            write_card(Path(self.args.output_dir))
