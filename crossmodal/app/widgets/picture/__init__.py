"""One picture: choosing it, cutting a part out of it, and its own view with the reasons why it was found."""
