"""What surrounds the bundle on AWS: the parts of its template that Chalice does not write, and the stacks below it."""
