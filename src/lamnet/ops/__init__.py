"""The operator: tap geometry, the plain-PyTorch definition, the custom op and its kernels."""
