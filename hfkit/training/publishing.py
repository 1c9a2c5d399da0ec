"""What leaves a run: its report, its card, and with --push_to_hub both and the model on the Hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from hfkit.arguments.training import refuse_token
from hfkit.errors import Failure, UserError
from hfkit.model.adapters import merge_adapters
from hfkit.progress import alone
from hfkit.training.console import TellingTrainer

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

    from hfkit.report.report import Report


class PublishingTrainer(TellingTrainer):
    """A `Trainer` whose README.md is the card of its report, on every way out, and that pushes only what it staged.

    Raises:
        UserError: with push_to_hub, when nothing could be pushed from here: no network, no token, no such name.
    """

    def publish(self, report: "Report") -> None:
        """End a run: write report and card, print the scores, and with --push_to_hub push it all.

        In a run of several processes only the first one calls this.

        Raises:
            UserError: the output directory cannot be written.
            Failure: it was not pushed; the run itself is complete.
        """
        from rich.console import Console

        page = report.save(self.args.output_dir)
        self.create_model_card()
        self.tell_contenders(report.contenders, report.task.headline)
        Console().print(report.table())
        print(f"Report: {page}")
        if self.args.push_to_hub:
            print(f"Pushed: {self._pushed()}")

    def _pushed(self) -> str:
        """Push, and return the address; whatever stops it, the run has not failed, and is pushed later by a command."""
        from hfkit.hub.push import Target

        folder, args = Path(self.args.output_dir), self.args
        try:
            return self.push_to_hub().repo_url
        except (UserError, Failure) as error:
            again = Target(self.hub_model_id, args.hub_private_repo, args.hub_revision).command(folder)
            fix = str(error) if again in str(error) else f"{error} Then run {again}"
            raise Failure(f"The run is complete in '{folder}', but it was not pushed", fix) from error

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write README.md from report.json; what the stock card takes as arguments stands in the report.

        Raises:
            UserError: there is no report yet, or the folder cannot be written.
        """
        from hfkit.hub.card import write_card

        if self.is_world_process_zero():
            write_card(Path(self.args.output_dir))

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Refuse what could not be pushed in the end. Nothing is created before there is something to push."""
        from hfkit.hub.failures import explained
        from hfkit.hub.push import full_name

        if not self.is_world_process_zero():
            return
        asked = self.args.hub_model_id or Path(self.args.output_dir).absolute().name
        with explained(asked, "the same command again"):
            # Also in the arguments: report and card say under which name the model is found.
            self.hub_model_id = self.args.hub_model_id = full_name(asked)

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> "CommitInfo | None":
        """Push what `save_model` and the report have left in the output directory (see `hfkit.hub.push`).

        Only the first process pushes; the others return None at once. It always waits for the end.

        Raises:
            UserError: there is no report or no model yet, or something given cannot be pushed.
            Failure: the Hub or the way to it failed.
        """
        from hfkit.hub.push import push

        refuse_token(token)
        if not self.is_world_process_zero():
            return None
        if self.hub_model_id is None:
            self.init_hf_repo()
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        self.create_model_card()
        return push(
            Path(self.args.output_dir),
            self.hub_model_id,
            private=self.args.hub_private_repo if private is None else private,
            revision=revision or self.args.hub_revision,
            message=commit_message or "End of training",
        ).commit

    @alone()
    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save a plain model that loads without hfkit or peft; adapters are merged in, and kept in `adapter/`."""
        folder = Path(output_dir or self.args.output_dir)
        if not self.args.lora_rank or folder.name.startswith(PREFIX_CHECKPOINT_DIR):
            # Told that nobody asked, the stock method does not push, before report and card are there.
            super().save_model(output_dir, _internal_call=True)
        elif self.args.should_save:
            self.model.save_pretrained(folder / "adapter")
            (folder / "adapter" / "README.md").unlink()  # peft's form to fill in; the card comes with the report
            merge_adapters(self.model).save_pretrained(folder)
            self.processing_class.save_pretrained(folder)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            # A pickle that nothing here reads, and that the Hub calls unsafe.
            (Path(output_dir or self.args.output_dir) / "training_args.bin").unlink()
