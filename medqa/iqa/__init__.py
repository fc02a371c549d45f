"""The networks: what they see (`transforms`), what they are, the bundles they come in, and how they score and explain.

Only `mal`, `densenet`, `backbones`, `saliency` and `export` import torch; scoring runs on ONNX Runtime.
"""
