"""The loss and the order of training as the regularisers want them."""

from typing import Any

from datasets import Dataset

from hfkit.arguments.training import TransferArguments
from hfkit.contract.abilities import Focused, LabelHead
from hfkit.data.batches import EqualClasses, class_of_each
from hfkit.errors import UserError


def fit_loss(codec: Any, train: Dataset, args: TransferArguments) -> None:
    """Have a codec learn the settings of its loss, those of the arguments included.

    Raises:
        UserError: the loss of the task cannot take one of them.
    """
    codec.fit_loss(train, label_smoothing=args.label_smoothing_factor)
    if args.focal_loss:
        if not isinstance(codec, Focused):
            raise UserError(
                f"focal_loss={args.focal_loss}", "the loss of this task is not one of labels", "Leave it out"
            )
        codec.focus(args.focal_loss)


def balance(train: Dataset, codec: Any, args: TransferArguments) -> EqualClasses | None:
    """The order of training in which all classes are equally frequent; None if the arguments do not ask for it.

    Raises:
        UserError: the rows have no classes, or these weigh alike already.
    """
    if not args.balanced_sampler:
        return None
    if isinstance(codec, LabelHead) and codec.class_weights(train) is not None:
        rule = "rare classes would be made up for twice"
        raise UserError("balanced_sampler with weights of classes", rule, "Leave one of them out")
    return EqualClasses(class_of_each(train), args.seed if args.data_seed is None else args.data_seed)
