"""The command ``jaxstyle``: one file a verb, with its flags and its run.

A verb is a module with ``HELP``, ``DESCRIPTION``, ``EPILOG``, ``add_arguments`` and ``run``, and a line in
`jaxstyle.cli.main.VERBS`. Its flags are there without JAX, Flax and Pillow, which take a second to import: only ``run``
imports them. So what flags name of the library (weights, sizes, choices) is written out; the tests compare.
"""
