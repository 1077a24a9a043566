"""LAMNet in other programs: spandrel, which ComfyUI and chaiNNer use, and the Hugging Face Hub.

May touch `upscale`, `network` and below; never the terminal.
"""
