"""``python -m gllamm_cli``."""

from gllamm_cli.cli import main

if __name__ == "__main__":
    main()
