"""Images: files, decoding, augmentation, batches and the cache. Needs the extra `vision`."""
