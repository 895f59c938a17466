"""Second readings: agreement, adjudication, consensus, and which labels may train."""
