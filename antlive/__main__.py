"""`python -m antlive`. Imports nothing at the top: forked workers pass through here too."""

if __name__ == "__main__":
    from antlive.cli import main

    main()
