"""`python -m medqa`."""

from medqa.cli import main

if __name__ == "__main__":
    main()
