"""What planning shows besides its board: days of cover, classes, the health of the stock, prices that move."""
