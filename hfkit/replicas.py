"""Data-parallel replicas that stay equal while the trainable set changes."""

from torch.nn.parallel import DistributedDataParallel


def rebuild(wrapper: DistributedDataParallel, **settings) -> None:
    """Wrap the module anew, in place, so that exactly the parameters which learn now are synchronised.

    DDP registers the parameters that require gradients when it is constructed: one that thaws later is never reduced,
    and the replicas drift apart with exit code 0; one that freezes later makes the reduction wait for it. The object
    stays the same because the training loop holds on to it.

    Args:
        settings: the keyword arguments the wrapper was first constructed with, besides its devices.
    """
    module, devices, output = wrapper.module, wrapper.device_ids, wrapper.output_device
    # The old reducer's hooks go with its last reference; with both alive every gradient would be reduced twice.
    del wrapper.reducer, wrapper.logger
    wrapper.__init__(module, device_ids=devices, output_device=output, **settings)
