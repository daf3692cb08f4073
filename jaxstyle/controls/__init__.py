"""What a user steers a picture with, and what arrays that comes to."""
