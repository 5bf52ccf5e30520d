"""What an estimator does: check, standardise, minimise, watch, keep, write down."""
