"""`python -m groupstore` is the command `groupstore`."""

from groupstore.command_line import main

if __name__ == "__main__":
    main()
