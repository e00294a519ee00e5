"""The application of a bundle as Amazon SageMaker asks it: ``GET /ping``, and ``POST /invocations`` for the rest."""
