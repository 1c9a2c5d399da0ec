"""Problems found before anything is trained: in the environment, the data and the model.

`checkup` runs every check, and a check is a function from rows, files or numbers to findings (`findings`): it looks at
media, columns and targets, and knows no task. This room stands on floor 4.
"""
