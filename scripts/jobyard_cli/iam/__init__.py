"""IAM roles of everybody who has to do with an environment, made from its file and its teams'."""
