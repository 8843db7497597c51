"""`python -m mien`, the form that `accelerate launch -m mien …` needs."""

from mien.cli.app import main

if __name__ == "__main__":
    main()
