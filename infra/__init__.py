"""Infrastructure on AWS: the parts of the bundle's template that Chalice does not write, and the stacks beneath it."""
