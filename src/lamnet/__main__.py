"""`python -m lamnet`, and what `torchrun -m lamnet` starts."""

from lamnet.cli import main

main()
