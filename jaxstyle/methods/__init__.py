"""The methods: one paper, one file or folder. They know arrays, neither files nor controls."""
