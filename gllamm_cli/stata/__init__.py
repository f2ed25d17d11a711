"""The Stata language around gllamm: text to typed trees with source positions."""
