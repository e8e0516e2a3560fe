"""What is made of records: tables, figures, the executed course."""
