"""The pictures of tools/plot: the paper's figures, and a page for any run."""
