// Nothing is exported yet: a declared module for the packages that name it.
