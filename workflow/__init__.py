"""The build behind run_all.sh: set-up, execution of the chapters, rendering of the book.

Everything that runs before the virtual environment exists (options, chapters, environment, locks,
progress, the front end itself) uses the standard library only.
"""
