"""Plans whose server drafts tokens and checks them: which drafters were asked for, and whether one pays."""
