"""What customers do: each story one of the rules of the sale, of refunds, or of what cannot be applied."""
