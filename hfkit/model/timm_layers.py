"""The order that the authors of a timm model state for its layers."""

from torch import nn

from hfkit.model.paths import first_match
from hfkit.model.proof import Unproven


def place_by_timm(core: nn.Module) -> tuple[dict[str, int], list[str]]:
    from timm.models import group_parameters

    heads = core.timm_model.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else heads
    matcher = getattr(core.timm_model, "group_matcher", None)
    if not heads or matcher is None:
        raise Unproven("timm states no order of its layers")
    stated = group_parameters(core.timm_model, matcher(), reverse=True)
    # timm numbers last what it does not match: the classifier, and sometimes layers before it.
    body = {path: place for path, place in stated.items() if not first_match(heads, path)}
    places = sorted(set(body.values()))
    if len(places) < 2:
        raise Unproven("timm puts all its layers at one place")
    names = [_shared_path([path for path in body if body[path] == place]) for place in places[1:]]
    depths = {path: places.index(body[path]) if path in body else len(places) for path in stated}
    return {f"timm_model.{path}": depth for path, depth in depths.items()}, names


def _shared_path(paths: list[str]) -> str:
    """The module path that the first parameter has in common with all others under the same top-level module."""
    modules = [path.split(".")[:-1] for path in paths if "." in path] or [[paths[0]]]
    shared = modules[0]
    for module in modules:
        if module[0] == shared[0]:
            shared = [a for i, a in enumerate(shared) if module[: i + 1] == shared[: i + 1]]
    return ".".join(shared)
