"""Endings that files of HR and LR may have after a picture's name, the scale for {}."""

HR_ENDINGS = ("", "_hr_x{}", "_hr", "_gt")
LR_ENDINGS = ("", "x{}", "_x{}", "_lr", "_lr_x{}", "_lrx{}", "_lrbi_x{}", "_lr{}", "_bicubic")
