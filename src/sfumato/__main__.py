"""`python -m sfumato`, the command line; what `accelerate launch -m sfumato` starts."""

from sfumato.app.cli.main import main

main()
