"""The standard CRM package: JSON documents only (see README.md); this file lets an installed copy be found."""
