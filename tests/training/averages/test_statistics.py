"""Running statistics fit the averaged weights, and only those that training moved are measured anew."""

import numpy as np
import pytest
import torch
from torch import nn

from hfkit.tasks import ImageClassification
from hfkit.training.averages.callback import to_cpu
from hfkit.training.averages.statistics import find_moved
from tests.fixtures.runs import at
from tests.tasks.test_image_classification import trainer
from tests.tiny import images as tiny


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> tuple[str, ImageClassification]:
    folder = tmp_path_factory.mktemp("images")
    return tiny.resnet(tmp_path_factory.mktemp("resnet")), ImageClassification(dataset=tiny.image_folder(folder))


def test_the_way_back_has_statistics_of_its_own(place, tmp_path):
    flags = {"strategy": "full", "wise_ft": ["0.5"], "learning_rate": 1e-2, "per_device_eval_batch_size": 24}
    run = trainer(*place, tmp_path, **flags)
    start = to_cpu(dict(run.model.named_buffers()))
    assert not find_moved(run.model, start)
    run.train()
    norms = {name: module for name, module in run.model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert find_moved(run.model, start).keys() == norms.keys() and not any(norm.training for norm in norms.values())
    seen, first = [], next(iter(norms.values()))  # the others get what it makes of its batch
    hook = first.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    batch = run.data_collator(run.train_dataset.__getitems__(list(range(len(run.train_dataset)))))
    run.model.eval()
    with torch.no_grad():
        run.model(**run.codec.inputs(batch))
    hook.remove()
    torch.testing.assert_close(first.running_mean, seen[0].mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first.running_var, seen[0].var((0, 2, 3)), rtol=1e-4, atol=1e-5)
    assert all(norm.momentum == 0.1 for norm in norms.values())


def test_running_statistics_are_averaged_like_weights(place, tmp_path):
    run = trainer(*place, tmp_path, strategy="full", ema=0.7, num_train_epochs=1)
    average = {name: value.detach().double().numpy().copy() for name, value in run.model.named_buffers()}
    counted = []

    def follow(args, state, control, **_) -> None:
        decay = min(0.7, (1 + state.global_step) / (10 + state.global_step))
        for name, value in run.model.named_buffers():
            average[name] = decay * average[name] + (1 - decay) * value.detach().double().numpy()
        counted.append(state.global_step)

    run.add_callback(at("on_step_end", follow))
    run.train()
    for name, value in run.model.named_buffers():
        wanted = counted[-1] if name.endswith("num_batches_tracked") else average[name]
        np.testing.assert_allclose(value.double().numpy(), wanted, rtol=1e-4, atol=1e-6)
