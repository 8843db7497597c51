"""What is wrong with a data set, said before anyone trains on it.

Every module here looks for one kind of trouble and has two layers: functions of arrays (pictures, labels, splits,
votes, positions of copies) that return a `finding.Finding` and can be used on anyone's arrays; and
`check(data, tell)`, which takes the arrays out of a packed `Dataset`, calls them, and returns a list of findings.
`run` calls the checks in order. Nothing here trains: what needs a net (out-of-fold probabilities, what a recipe
feeds it) comes in as an array from `mien.train`.
"""
