"""Import time: modules in, woven modules out."""
