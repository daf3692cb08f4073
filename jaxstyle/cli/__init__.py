"""The command ``jaxstyle``: one file a verb."""
