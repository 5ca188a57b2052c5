module pause

go 1.27.0
