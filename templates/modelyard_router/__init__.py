"""The package that a deployment on this machine gets beside its bundles: several of them behind one endpoint."""
