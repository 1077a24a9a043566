"""LAMNet in other people's programs: spandrel (and with it ComfyUI and chaiNNer) and the Hugging Face Hub."""
